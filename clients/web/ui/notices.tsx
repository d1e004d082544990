import { useChat, useChatState } from "./context.ts";
import { Icon } from "./icons.tsx";

/** Short messages that go away by themselves. */
export function Notices() {
  const chat = useChat();
  const notices = useChatState((state) => state.notices);
  return (
    <div className="notices" role="status">
      {notices.map(({ id, text }) => (
        <div key={id} className="notice">
          <span>{text}</span>
          <button
            type="button"
            className="button button-icon"
            aria-label="Dismiss"
            onClick={() => chat.dismiss(id)}
          >
            <Icon name="close" size={16} />
          </button>
        </div>
      ))}
    </div>
  );
}
