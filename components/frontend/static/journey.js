// What somebody is in the middle of, from page to page. It is kept in memory alone, and gone with the document.

const nothing = {
  /** The pages that it leads through. */
  steps: [],
  username: "",
  /** Whether the session of this browser is proof enough. */
  bySession: false,
  /** What an expired login gave. */
  renewalToken: "",
  /** Until when that counts, by this machine's clock. */
  renewalEnds: 0,
  /** What proves an account without a second factor. */
  proof: null,
  /** A password, as `text` if it is known so, and as `image` if it is new. */
  password: null,
  /** A new second factor: `image`, `link`, `secret`. */
  secondFactor: null,
  /** Whether a new second factor, shown elsewhere before, is to be put in force. */
  isFinishing: false,
  /** Whether a new credential is on its way. */
  isIssuing: false,
  /** What the login offers instead: `renew` or `enrol`. */
  offer: "",
  /** Why there is no session: `session_over`, `not_logged_in` or `logged_out`. */
  ended: "",
};

export const journey = {
  ...nothing,

  /** Begins anew. */
  begin(values) {
    Object.assign(this, nothing, values);
  },

  /** Forgets everything. */
  forget() {
    Object.assign(this, nothing);
  },

  /** The page after this one. */
  after(path) {
    return this.steps[this.steps.indexOf(path) + 1] ?? "/check-2fa";
  },

  /** Whether there is something, or will be, that is shown once and lost with the document. */
  holdsSecrets() {
    return this.isIssuing || Boolean(this.password?.image ?? this.secondFactor);
  },
};
