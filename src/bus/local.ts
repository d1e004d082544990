import type { Bus, BusHandler, BusMessage } from "./bus.ts";

/** Makes a bus within this process: messages arrive at once, in order, and none is lost. */
export function createLocalBus(): Bus {
  const handlers = new Map<string, Set<BusHandler>>();
  return {
    publish(subject: string, message: BusMessage) {
      const set = handlers.get(subject);
      if (set !== undefined) for (const handler of set) handler(message);
    },
    subscribe(subject, handler) {
      const set = handlers.get(subject) ?? new Set();
      handlers.set(subject, set);
      set.add(handler);
      return () => {
        set.delete(handler);
        if (set.size === 0 && handlers.get(subject) === set) handlers.delete(subject);
      };
    },
    request: async () => [],
    connected: true,
    onReset: () => () => {},
    async close() {
      handlers.clear();
    },
  };
}
