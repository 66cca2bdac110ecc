/** Why an option of the contract is refused for now. */
export const LATER = 'comes in a later version';
