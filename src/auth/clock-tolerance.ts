/** How far the clocks of a token's issuer and the server may be apart, in milliseconds. */
export const clockToleranceMs = 5_000;
