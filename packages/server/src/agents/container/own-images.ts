/**
 * Knows whether FuseML's own step images have been made. They are not at first, where nobody ran `npm run images`: then an agent that
 * can do without takes their steps.
 */
export class OwnImages {
  private readonly isOwn: (image: string) => boolean;
  private readonly look: () => Promise<boolean>;
  private there = false;

  /** @param look whether they are in the registry now */
  constructor(isOwn: (image: string) => boolean, look: () => Promise<boolean>) {
    this.isOwn = isOwn;
    this.look = look;
  }

  /** Looks, and remembers. */
  async refresh(): Promise<void> {
    this.there = await this.look();
  }

  /** Whether an image can be had, as far as is known; when it cannot, the next question may be answered otherwise. */
  has(image: string, failed: (error: unknown) => void): boolean {
    if (this.there || !this.isOwn(image)) return true;
    this.refresh().catch(failed);
    return false;
  }
}
