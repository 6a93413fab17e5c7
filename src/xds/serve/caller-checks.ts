/**
 * Whether a stream is to end because of who opened it. A question that is asked before that is
 * known waits until it is: else who is revoked while it opens a stream would keep it.
 */
export class CallerChecks<Caller> {
  readonly #end: () => void;
  #caller: Caller | undefined;
  #waiting: ((caller: Caller) => boolean)[] = [];

  /** @param end ends the stream */
  constructor(end: () => void) {
    this.#end = end;
  }

  /** Ends the stream if `isOver` says so of its caller, now or once that is known. */
  ask(isOver: (caller: Caller) => boolean): void {
    if (this.#caller === undefined) this.#waiting.push(isOver);
    else if (isOver(this.#caller)) this.#end();
  }

  /** This is the caller, as is proven now; ends the stream if it is over already. */
  known(caller: Caller): void {
    this.#caller = caller;
    const asked = this.#waiting;
    this.#waiting = [];
    if (asked.some((isOver) => isOver(caller))) this.#end();
  }
}
