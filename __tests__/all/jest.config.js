import base from '../../jest.config.js';

/** `npm run test:all`: what needs Chromium, nginx, Node.js 22 or more time than `npm test` may take. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/__tests__/all/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  testTimeout: 60_000,
  // Browsers and processes of their own; two at a time would only wait for each other.
  maxWorkers: 1,
};
