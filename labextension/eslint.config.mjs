import js from '@eslint/js';
import jupyter from '@jupyter/eslint-plugin';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** A folder of src/ can import its own files and the base files in src/, not other folders. */
const floors = groups => ({
  'no-restricted-imports': [
    'error',
    {
      patterns: groups.map(group => ({
        group: [group],
        message: 'Move the shared code into a base file in src/.'
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
      // Lumino signals take a method and its object: connect(this._onChanged, this).
      '@typescript-eslint/unbound-method': 'off',
      curly: 'error',
      eqeqeq: 'error',
      'max-lines': ['error', 250],
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
