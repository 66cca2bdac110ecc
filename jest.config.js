export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/__tests__'],
  testMatch: ['**/*.test.ts'],
  // What needs Chromium, nginx, Node.js 22 or more time: npm run test:all.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/__tests__/all/'],
  extensionsToTreatAsEsm: ['.ts'],
  resolver: '<rootDir>/jest.resolver.cjs',
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022', keepClassNames: true },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  // Tests and examples import the package by its public name; here that name is the source, in the package tests the tarball.
  moduleNameMapper: {
    '^express-mcp-auth$': '<rootDir>/lib/index.ts',
    '^express-mcp-auth/passport$': '<rootDir>/lib/passport/index.ts',
    '^express-mcp-auth/stores/lmdb$': '<rootDir>/lib/stores/lmdb.ts',
    '^express-mcp-auth/stores/redis$': '<rootDir>/lib/stores/redis.ts',
    '^express-mcp-auth/stores/postgres$': '<rootDir>/lib/stores/postgres.ts',
    '^express-mcp-auth/testing$': '<rootDir>/lib/testing/index.ts',
    '^express-mcp-auth/express-types$': '<rootDir>/lib/express-types.ts',
  },
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageProvider: 'v8',
  coverageThreshold: { global: { statements: 90, branches: 90, functions: 90, lines: 90 } },
  // On two processors a third has work while the others wait for a service, a process or a clock.
  maxWorkers: 3,
  // Long enough for a machine that is busy with other things; no test waits for it.
  testTimeout: 30_000,
};
