/** The store that buses of tests speak of where there is none. */
export const testEpoch = { epoch: "testepoch2", salt: 7 };
