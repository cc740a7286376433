// Types of surehold.js. Times are Dates or RFC 3339 with an offset; money is in minor units.

export interface Options {
  /** A publishable key, `pk_…`, whose origins name this page's. */
  key: string;
  /** Where Surehold is; by default where this module was loaded from. */
  host?: string;
}

export type Time = Date | string;

export interface Money {
  amount_minor: number;
  currency: string;
}

export interface Span {
  start: string;
  end: string;
}

export interface Abortable {
  signal?: AbortSignal;
}

export interface AvailabilityQuery extends Abortable {
  from: Time;
  to: Time;
  /** Minutes; asks for `slots`. */
  duration?: number;
  /** Days or nights, where it is booked by them; asks for `slots`. */
  days?: number;
  /** Minutes between starts. */
  step?: number;
  quantity?: number;
}

export interface Free extends Span {
  remaining: number;
}

export interface Slot extends Free {
  price: Money;
  local_start: string;
  label: string | null;
  days: number | null;
}

export interface Availability extends Span {
  resource: string;
  timezone: string;
  as_of: string;
  /** True while the last known answer is given. */
  stale?: boolean;
  free: Free[];
  slots?: Slot[];
}

export interface AddOn {
  resource: string;
  quantity?: number;
}

export interface Line {
  resource: string;
  start: Time;
  end: Time;
  quantity?: number;
  addOns?: AddOn[];
}

export interface Person {
  email?: string;
  name?: string;
}

export interface About {
  member?: Person;
  discountCode?: string;
}

export type Wish = (Line & About) | ({ lines: Line[] } & About);

export interface BookedLine extends Span {
  resource: string;
  quantity: number;
  amount: Money;
  parts: unknown[];
  add_ons: { resource: string; quantity: number; amount: Money }[];
  cancelled_at: string | null;
}

export type HoldState = "active" | "confirmed" | "released" | "expired";

export interface Hold {
  id: string;
  token: string;
  state: HoldState;
  expires_at: string;
  booking: {
    id: string;
    reference: string;
    state: string;
    version: number;
    lines: BookedLine[];
    total: Money;
    discount: { code: string; amount: Money } | null;
  };
  change: unknown | null;
}

/** `open`: nothing came of it so far. `processing`: a payment is under way, do not pay again. */
export type Outcome = "confirmed" | "released" | "expired" | "open" | "processing" | "awaiting_approval";

export type Settled = Hold & { outcome: Outcome };

export interface CheckoutOptions extends Abortable {
  /** Needed here or with `reserve`: the address that hears of it. */
  member?: Person;
  /** Where the payment page leads afterwards, on an origin of the key; this page by default. */
  successUrl?: string | URL;
  cancelUrl?: string | URL;
  /** Open on top of this page; call it in a click. Without it this page leaves. */
  popup?: boolean;
}

export interface ConfirmOptions extends Abortable {
  member?: Person;
  /** Milliseconds to wait for a payment that is being settled; 10,000 unless said. */
  wait?: number;
}

export interface Client extends EventTarget {
  current(): Hold | null;
  resources(query?: Record<string, string | number | Date>, options?: Abortable): Promise<{ results: unknown[]; next: string | null; previous: string | null }>;
  availability(resource: string, query: AvailabilityQuery): Promise<Availability>;
  quote(wish: Wish, options?: Abortable): Promise<{ lines: unknown[]; total: Money; discount: unknown; taxes: unknown[] }>;
  reserve(wish: Wish & Abortable): Promise<Hold>;
  read(hold?: Hold, options?: Abortable): Promise<Hold>;
  extend(hold?: Hold, options?: Abortable): Promise<Hold>;
  checkout(hold?: Hold, options?: CheckoutOptions): Promise<Settled>;
  confirm(hold?: Hold, options?: ConfirmOptions): Promise<Settled>;
  release(hold?: Hold, options?: Abortable): Promise<void>;
  addEventListener(
    type: "held" | "confirmed" | "released" | "expired",
    listener: (event: CustomEvent<Hold>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export class SureholdError extends Error {
  /** Stable: `slot_taken`, `too_many_holds`, `hold_expired`, `unreachable`, … */
  readonly code: string;
  /** Of HTTP; 0 where there was no answer. */
  readonly status: number;
  /** The field at fault, if one is. */
  readonly field: string | null;
  /** The index of the line that failed. */
  readonly line: number | null;
  /** Units left throughout the time asked for. */
  readonly remaining: number | null;
  /** The nearest time at which all of it fits. */
  readonly nextFree: Span | null;
  /** Seconds after which to come again. */
  readonly retryAfter: number | null;
  /** The answer as it came (RFC 9457). */
  readonly problem: Record<string, unknown>;
}

export function Surehold(options: Options): Client;
