/** Structured values are JSON text in the database. What was written by us is read back without checking. */
export const toJson = (value: unknown): string => JSON.stringify(value);
export const fromJson = <T>(text: string): T => JSON.parse(text) as T;
export const toFlag = (value: boolean): number => (value ? 1 : 0);
