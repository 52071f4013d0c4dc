/** Milliseconds since 1970. A parameter everywhere, so that tests decide what time it is. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

/** An instant as it is stored and sent: ISO 8601 in UTC. */
export const instant = (clock: Clock): string => new Date(clock()).toISOString();
