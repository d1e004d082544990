import type { Bus, BusHandler, BusMessage } from "./bus.ts";

/** Makes a bus within this process: messages arrive at once, in order, and none is lost. */
export function createLocalBus(): Bus {
  // Mostly one to a subject, for which a list is smaller than a set.
  const handlers = new Map<string, readonly BusHandler[]>();
  return {
    publish(subject: string, message: BusMessage) {
      const all = handlers.get(subject);
      if (all !== undefined) for (const handler of all) handler(message);
    },
    subscribe(subject, handler) {
      handlers.set(subject, [...(handlers.get(subject) ?? []), handler]);
      return () => {
        const others = handlers.get(subject)?.filter((other) => other !== handler) ?? [];
        if (others.length > 0) handlers.set(subject, others);
        else handlers.delete(subject);
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
