// Pure files only: what a person sees is tested in a real browser, see tests/browser.
export default {
  roots: ['<rootDir>/src'],
  testEnvironment: 'node',
  testMatch: ['**/__tests__/*.spec.ts'],
  transform: {
    '\\.ts$': ['ts-jest', { tsconfig: { module: 'commonjs', types: ['jest'] } }]
  }
};
