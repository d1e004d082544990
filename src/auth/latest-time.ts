/**
 * The latest time a `google.protobuf.Timestamp` can hold, in milliseconds since
 * 1970: the last of the year 9999. Stands for "never" where something expires.
 */
export const latestTimeMs = 253_402_300_799_999;
