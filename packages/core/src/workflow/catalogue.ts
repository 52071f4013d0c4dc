import type { RunnableDescriptor } from "../runnable/descriptor.ts";
import type { ExtensionRequirement } from "./definition.ts";

/** What the check needs to know from outside the text. */
export type Catalogue = {
  /** Why nothing registered matches the requirement, or nothing when something does. */
  readonly whyUnresolved?: (requirement: ExtensionRequirement) => string | undefined;
  /** The runnable behind a reference, or why there is none. Absent: references are not looked at. */
  readonly runnable?: (reference: string) => KnownRunnable | { readonly unknown: string; readonly hint: string };
};

/** A runnable that a step can name. Without a descriptor, only its image is known. */
export type KnownRunnable = {
  /** With its version. */
  readonly address: string;
  readonly image: string;
  readonly descriptor?: RunnableDescriptor;
};
