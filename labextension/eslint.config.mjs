import js from '@eslint/js';
import jupyter from '@jupyter/eslint-plugin';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Imports go down only: a folder of src/ knows the files beside it and the base files. */
const floors = groups => ({
  'no-restricted-imports': [
    'error',
    {
      patterns: groups.map(group => ({
        group: [group],
        message: 'Imports go down only: move what both need into a base file.'
      }))
    }
  ]
});

export default defineConfig([
  { ignores: ['node_modules', 'lib', 'coverage', '.yarn'] },
  js.configs.recommended,
  { plugins: { jupyter } },
  jupyter.configs.recommended,
  {
    files: ['src/**/*.{ts,tsx}'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: true,
        tsconfigRootDir: import.meta.dirname
      }
    },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      // Lumino's signals take a method and its object: connect(this._onChanged, this).
      '@typescript-eslint/unbound-method': 'off',
      curly: 'error',
      eqeqeq: 'error',
      'max-lines': ['error', 200],
      'no-console': ['error', { allow: ['warn'] }]
    }
  },
  {
    files: ['src/*/**/*.{ts,tsx}'],
    ignores: ['src/__tests__/**'],
    rules: floors(['../*/*', '../index'])
  },
  {
    files: ['src/*.{ts,tsx}'],
    ignores: ['src/index.ts'],
    rules: floors(['./*/*', './index'])
  }
]);
