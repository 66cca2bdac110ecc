export { type OpenStore, type StoreUnderTest, storeContract, type TestRunner } from './store-contract.js';
