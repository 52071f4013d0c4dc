/** A line of the catalogue of errors. `P` are the parameters of its texts. */
export type Row<P> = {
  /** HTTP status of the answer that carries this error. */
  readonly status: number;
  /** Exit code of a command that ends with it: 1 failure, 2 wrong usage or input, 3 not found, 4 conflict, 5 unreachable, 6 denied. */
  readonly exit: number;
  readonly message: (params: P) => string;
  readonly hint?: (params: P) => string;
  /** True when the same call may succeed later. */
  readonly temporary?: boolean;
};

/** A row for errors whose parameters are `P`. */
export const row = <P = Record<string, never>>(value: Row<P>): Row<P> => value;
/** Something that is looked up by its name. */
export const notFound = (what: string) =>
  row<{ name: string }>({
    status: 404,
    exit: 3,
    message: ({ name }) => `${what} "${name}" does not exist`,
    hint: () => `list them with: fuseml ${what.split(" ")[0]} list`,
  });
/** A name that is taken. */
export const exists = (what: string) =>
  row<{ name: string }>({ status: 409, exit: 4, message: ({ name }) => `${what} "${name}" exists already` });
