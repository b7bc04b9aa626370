type Listener = (...values: never[]) => void
type Sent = { event: string; data: unknown; ack: ((answer: unknown) => void) | undefined }

/** Stands in for a Socket.IO socket: what was sent can be read, what the server would send can be played. */
export class FakeSocket {
  connected = false
  active = true
  sent: Sent[] = []
  readonly #listeners = new Map<string, Listener[]>()

  on(event: string, listener: Listener): this {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener])
    return this
  }
  emit(event: string, data: unknown, ack?: (answer: unknown) => void): this {
    this.sent.push({ event, data, ack })
    return this
  }
  connect(): this {
    this.connected = true
    this.play('connect')
    return this
  }
  disconnect(): this {
    this.connected = false
    return this
  }
  removeAllListeners(): this {
    this.#listeners.clear()
    return this
  }

  /** As if the server had sent it. */
  play(event: string, ...values: unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(...(values as never[]))
  }
  /** As if the network had gone. */
  drop(reason = 'transport close'): void {
    this.connected = false
    this.play('disconnect', reason)
  }
  subscriptions(): unknown[] {
    return this.sent.filter(({ event }) => event === 'subscribe').map(({ data }) => data)
  }
}

const sockets: FakeSocket[] = []

export function openFakeSocket(): FakeSocket {
  const socket = new FakeSocket()
  sockets.push(socket)
  return socket
}

/** The socket the page has opened. */
export function theSocket(): FakeSocket {
  const socket = sockets.at(-1)
  if (!socket) throw new Error('No socket was opened.')
  return socket
}

export function resetSockets(): void {
  sockets.length = 0
}
