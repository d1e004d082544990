/** Gives an element the focus once the page has been drawn anew; does nothing when there is none. */
export function focusSoon(selector: string): void {
  requestAnimationFrame(() => document.querySelector<HTMLElement>(selector)?.focus());
}
