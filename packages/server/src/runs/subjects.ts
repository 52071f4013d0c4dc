/** Events of a run are about this subject; who waits for them listens to it. */
export const runSubject = (runId: string): string => `run:${runId}`;
