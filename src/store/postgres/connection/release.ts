/**
 * Which kinds of events this code can be trusted with. A node of a release that
 * begins to append kinds that others would show to the wrong people, or answer
 * wrongly for, raises `log_head.min_release` first, once all nodes are of that
 * release. A node of before that is still there, cut off from the others, finds
 * the fence with its next statement and stops serving.
 */
export const logRelease = 1;

/** A condition for statements that read the log: fails the statement where a later release writes to it. */
export const ofThisRelease = "(SELECT release_known_1())";
