// Only code without a DOM; tests/browser tests the user interface in a real browser.
export default {
  roots: ['<rootDir>/src'],
  testEnvironment: 'node',
  testMatch: ['**/__tests__/*.spec.ts'],
  transform: {
    '\\.tsx?$': [
      'ts-jest',
      { tsconfig: { module: 'commonjs', types: ['jest'] } }
    ]
  }
};
