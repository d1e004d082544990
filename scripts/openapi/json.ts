import type {
  DescEnum,
  DescEnumValue,
  DescField,
  DescMessage,
  DescMethod,
  DescOneof,
  DescService,
} from "@bufbuild/protobuf";
import { getComments } from "@bufbuild/protoplugin";

/** A JSON object. */
export type Json = { [key: string]: unknown };

/** Returns what the proto says about something. */
export function commentOf(
  desc: DescEnum | DescEnumValue | DescField | DescMessage | DescMethod | DescOneof | DescService,
): string {
  return (getComments(desc).leading ?? "").replaceAll(/^ /gm, "").trim();
}
