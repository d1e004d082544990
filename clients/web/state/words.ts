import { ErrorReason, ParlanceError, Status } from "../../typescript/errors.ts";

const sentences: Partial<Record<ErrorReason, string>> = {
  [ErrorReason.INVALID_TOKEN]: "This token is not valid here. Check that you pasted all of it.",
  [ErrorReason.TOKEN_EXPIRED]: "This token has expired. Ask for a new one.",
  [ErrorReason.SESSION_LOGGED_OUT]: "You were signed out. Sign in again.",
  [ErrorReason.SESSION_REPLACED]: "This chat was opened in another window.",
  [ErrorReason.RECIPIENT_IS_SENDER]: "That is you. Choose somebody else.",
  [ErrorReason.CONTENT_TOO_LARGE]: "This is too long for one message. Send it in parts.",
  [ErrorReason.REQUEST_TOO_LARGE]: "This is too long for one message. Send it in parts.",
  [ErrorReason.CLIENT_MESSAGE_ID_REUSED]: "This message was sent before with another text. Write it anew.",
  [ErrorReason.CONVERSATION_NOT_FOUND]: "There is no such conversation.",
  [ErrorReason.GROUP_NOT_FOUND]: "There is no such group, or you may not see it. Ask a member to add you.",
  [ErrorReason.GROUP_ID_TAKEN]: "Another group has this ID. Choose another one.",
  [ErrorReason.NOT_A_MEMBER]: "You are not in this group any more.",
  [ErrorReason.MEMBER_NOT_FOUND]: "They are not in this group any more.",
  [ErrorReason.ALREADY_A_MEMBER]: "You are in this group already.",
  [ErrorReason.JOIN_NOT_ALLOWED]: "This group is not open. Ask an admin to add you.",
  [ErrorReason.APPROVAL_NOT_SUPPORTED]:
    "This group wants approval, which is not possible yet. Ask an admin to add you.",
  [ErrorReason.ROLE_TOO_LOW]: "Your role does not allow this. Ask an admin.",
  [ErrorReason.OWNER_CANNOT_LEAVE]: "You own this group. Make somebody else the owner first.",
  [ErrorReason.MEMBER_MUTED]: "You may not write in this group for now.",
  [ErrorReason.GROUP_MUTED]: "Only admins may write in this group for now.",
  [ErrorReason.GROUP_FULL]: "This group is full.",
  [ErrorReason.STORAGE_FULL]: "The server has no space left. Tell whoever runs it, and try again later.",
  [ErrorReason.STORE_UNAVAILABLE]: "The server cannot store messages right now. Try again.",
  [ErrorReason.TOO_MANY_SESSIONS]: "The server is full. Try again later.",
  [ErrorReason.TOO_MANY_NEW_SESSIONS]: "Many people are coming in right now. Try again in a moment.",
};

/** Says what went wrong, and what to do about it, in words for people. */
export function inWords(error: unknown): string {
  if (!(error instanceof ParlanceError)) return "Something went wrong on this page. Reload it.";
  const sentence = sentences[error.reason];
  if (sentence !== undefined) return sentence;
  if (error.reason === ErrorReason.INVALID_REQUEST) return ofViolation(error);
  switch (error.code) {
    case Status.UNAVAILABLE:
      return "The server cannot be reached. Try again.";
    case Status.DEADLINE_EXCEEDED:
      return "The server did not answer in time. Try again.";
    case Status.UNAUTHENTICATED:
      return "Your session has ended. Sign in again.";
    default:
      return `The server refused: ${error.message}.`;
  }
}

function ofViolation({ violations, message }: ParlanceError): string {
  const field = violations[0]?.field ?? "";
  if (/text\.body/.test(field)) return "A message may have up to 16,384 bytes. Send it in parts.";
  if (/(user|recipient|owner|group)_ids?|member_ids/.test(field))
    return "An ID has 1 to 128 bytes, no line breaks, and no spaces at its ends.";
  if (/name$/.test(field)) return "A group's name may have up to 256 bytes.";
  return `The server refused: ${violations[0]?.description ?? message}.`;
}
