import { Icon } from "./icons.tsx";
import { hueOf, initials } from "./text.ts";

/** A user's initials, or a sign for a group, on a colour that stays the same. Says nothing to screen readers: the name stands beside it. */
export function Avatar({
  name,
  colourKey,
  group = false,
  online = false,
  size = 40,
}: {
  name: string;
  colourKey: string;
  group?: boolean;
  online?: boolean;
  size?: 28 | 32 | 40 | 64;
}) {
  return (
    <span className={`avatar avatar-${size}`} style={{ "--hue": hueOf(colourKey) }} aria-hidden="true">
      {group ? <Icon name="people" size={size * 0.55} /> : initials(name)}
      {online && <span className="avatar-online" />}
    </span>
  );
}
