import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const globals = Object.fromEntries(
  [
    ...['AbortController', 'TextDecoder', 'console', 'fetch', 'process'],
    ...['setImmediate', 'setTimeout']
  ].map(name => [name, 'readonly'])
);

export default tseslint.config(
  { ignores: ['node_modules', 'dist', '.wrangler'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['test/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname
      }
    },
    rules: {
      curly: 'error',
      eqeqeq: 'error',
      'max-lines': ['error', 320],
      'no-console': 'error'
    }
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // Tests read the JSON of responses.
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      'max-lines': 'off'
    }
  },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals
    },
    rules: { 'no-console': 'off' }
  }
);
