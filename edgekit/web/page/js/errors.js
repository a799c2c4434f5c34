/** An error whose message is meant for the person in front of the page: `message` says what is wrong with `where`. */
export class PageError extends Error {
  constructor(message, kind = "image") {
    super(message);
    this.kind = kind;
  }
}
