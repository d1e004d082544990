/** The icons of the page, drawn with lines of one width on a grid of 24. */
const paths = {
  back: "M15 5l-7 7 7 7",
  send: "M5 12h13M12 5l7 7-7 7",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  down: "M12 5v13M6 12l6 6 6-6",
  check: "M5 12.5l4.5 4.5L19 7.5",
  checks: "M2 12.5l4.5 4.5L16 7.5M11.8 15.800l1.2 1.200L22.5 7.5",
  clock: "M12 7v5l3 2M12 21a9 9 0 100-18 9 9 0 000 18z",
  alert: "M12 7.5v5.5M12 16.4v.1M12 21a9 9 0 100-18 9 9 0 000 18z",
  people:
    "M9 11.5a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM2.5 19.5c.6-3.3 3.2-5 6.5-5s5.9 1.7 6.5 5M16 5a3.3 3.3 0 010 6.300M18.3 14.800c1.8.7 2.9 2.3 3.2 4.7",
  person: "M12 11.500a4 4 0 100-8 4 4 0 000 8zM4.5 20.500c.7-3.9 3.6-6 7.5-6s6.8 2.1 7.5 6",
  enter:
    "M10 7V5.500A1.5 1.5 0 0111.5 4h6A1.5 1.5 0 0119 5.500v13a1.5 1.5 0 01-1.5 1.500h-6a1.5 1.5 0 01-1.5-1.500V17M4 12h10M10.5 8.500L14 12l-3.5 3.5",
  leave:
    "M14 7V5.500A1.5 1.5 0 0012.5 4h-6A1.5 1.5 0 005 5.500v13A1.5 1.5 0 006.5 20h6a1.5 1.5 0 001.5-1.500V17M10 12h10M16.5 8.500L20 12l-3.5 3.5",
  sun: "M12 16.500a4.5 4.5 0 100-9 4.5 4.5 0 000 9zM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M5.3 18.700l1.4-1.400M17.3 6.700l1.4-1.4",
  moon: "M20 14.500A8.5 8.5 0 019.5 4a8.5 8.5 0 1010.5 10.500z",
  auto: "M12 21a9 9 0 100-18 9 9 0 000 18zM12 3v18M12 7h6.400M12 11h8.700M12 15h8M12 19h4",
  more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
};

/** The name of an icon. */
export type IconName = keyof typeof paths;

/** An icon beside a text, or in a button that has a label. */
export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

/** The page's sign. */
export function Logo({ size = 32 }: { size?: number }) {
  return (
    <svg className="logo" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <path
        className="logo-shape"
        d="M9 3h14a6 6 0 0 1 6 6v8a6 6 0 0 1-6 6h-7.2l-6.1 5.3A1 1 0 0 1 8 27.5V23a6 6 0 0 1-5-6V9a6 6 0 0 1 6-6z"
      />
      <path className="logo-lines" d="M10 10.5h12M10 16h7" />
    </svg>
  );
}
