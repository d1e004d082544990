import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Services } from "../../wire/services.ts";
import type { Caller } from "./caller.ts";

/** A method's work, apart from any edge: a request that keeps the schema's rules, and who makes it, to a response. */
export type Handler<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageShape<Input>,
  caller: Caller,
) => Promise<MessageInitShape<Output>>;

/** The names of a service's methods with one request, one response and a caller who is known. */
export type UnaryName<Service extends DescService> = {
  [Name in keyof Service["method"]]: Service["method"][Name] extends DescMethod & { methodKind: "unary" }
    ? Exclude<Name, "login">
    : never;
}[keyof Service["method"]];

/** A handler for each such method. What does the work of a service implements this. */
export type Handlers<Service extends DescService> = {
  [Name in UnaryName<Service>]: Handler<Service["method"][Name]["input"], Service["method"][Name]["output"]>;
};

/** Handlers of any service, by the local names of its methods. */
export type AnyHandlers = Readonly<Record<string, Handler<DescMessage, DescMessage>>>;

/** The handlers of all services, which every edge wraps. */
export type AllHandlers = { readonly [Key in keyof Services]: Handlers<Services[Key]> };
