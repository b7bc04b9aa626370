import type { Socket } from 'socket.io-client'
import { EVENT_TYPES, type FlatEvent, fromAck, fromSocket, type LiveEvent } from '@/lib/live-events'
import { refreshSession } from '@/lib/session'
import { useConnection } from '@/store/connection'
import { accessToken } from '@/store/session'

export type Room = 'dashboard' | `pipeline:${string}` | `execution:${string}`

export type RoomListener = {
  /** The newest `seq` already known, asked for at each (re)connect. Only rooms of one execution can resume. */
  after?: () => number | undefined
  /** Events in order, at most once per animation frame. */
  onEvents: (events: LiveEvent[]) => void
  /** Events may have been missed in a room that cannot resume: whatever is shown may be old. */
  onReconnect?: () => void
}

/** `seq` is how far the events reach; with `more` the room is joined only after asking again from there. */
type Ack = {
  ok: boolean
  seq: number | null
  events: (FlatEvent & { type: string })[]
  more: boolean
}

const OFFLINE_AFTER_MS = 3000
/** After the server has said no. */
const SIGN_IN_AGAIN_MS = 1000
const TRY_AGAIN_MS = 10_000
/** Animation frames stop in hidden tabs; events must not pile up there. */
const HIDDEN_FLUSH_MS = 500

/** One socket for the page; rooms are joined while somebody listens. */
export class LiveConnection {
  #socket: Socket | null = null
  readonly #open: () => Promise<Socket>
  readonly #rooms = new Map<Room, Set<RoomListener>>()
  readonly #waiting = new Map<RoomListener, LiveEvent[]>()
  #flushPlanned = false
  #offlineTimer: number | undefined
  #connectedBefore = false
  /** Changes with each start and stop, so that what began before one knows that it is over. */
  #turn = 0

  constructor(open: () => Promise<Socket>) {
    this.#open = open
  }

  async start(): Promise<void> {
    this.#turn += 1
    const turn = this.#turn
    const socket = await this.#open()
    if (turn !== this.#turn) return
    this.#socket = socket
    socket.on('connect', () => this.#onConnect())
    socket.on('connected', () => {
      // The server puts everybody into this room.
      if (!this.#rooms.has('dashboard')) socket.emit('unsubscribe', { room: 'dashboard' })
    })
    socket.on('events_omitted', () => this.#catchUp())
    socket.on('disconnect', (reason) => {
      this.#onDisconnect()
      // Socket.IO comes back by itself, except when the server has hung up: then the token has run out.
      if (reason === 'io server disconnect') this.#signInAgain()
    })
    socket.on('connect_error', (error) => {
      this.#onDisconnect()
      if (socket.active) return
      if (refusalCode(error) === 'unauthenticated') this.#signInAgain()
      else window.setTimeout(() => this.#socket?.connect(), TRY_AGAIN_MS)
    })
    for (const type of EVENT_TYPES) {
      socket.on(type, (flat) => this.#receive(fromSocket(type, flat)))
    }
    socket.connect()
  }

  stop(): void {
    this.#turn += 1
    this.#connectedBefore = false
    this.#socket?.removeAllListeners()
    this.#socket?.disconnect()
    this.#socket = null
    window.clearTimeout(this.#offlineTimer)
    this.#offlineTimer = undefined
    useConnection.setState({ status: 'connecting' })
  }

  /** Returns what ends it. */
  listen(room: Room, listener: RoomListener): () => void {
    const listeners = this.#rooms.get(room) ?? new Set()
    listeners.add(listener)
    this.#rooms.set(room, listeners)
    if (this.#socket?.connected) this.#join(room, [listener])
    return () => {
      listeners.delete(listener)
      this.#waiting.delete(listener)
      if (listeners.size > 0) return
      this.#rooms.delete(room)
      this.#socket?.emit('unsubscribe', { room })
    }
  }

  #onConnect(): void {
    window.clearTimeout(this.#offlineTimer)
    this.#offlineTimer = undefined
    useConnection.setState({ status: 'live' })
    if (this.#connectedBefore) this.#catchUp()
    else for (const [room, listeners] of this.#rooms) this.#join(room, listeners)
    this.#connectedBefore = true
  }

  /** Events were missed: ask for them where a room keeps them, otherwise have the listeners look anew. */
  #catchUp(): void {
    for (const [room, listeners] of this.#rooms) {
      this.#join(room, listeners)
      for (const listener of listeners) if (!listener.after) listener.onReconnect?.()
    }
  }

  #onDisconnect(): void {
    this.#offlineTimer ??= window.setTimeout(
      () => useConnection.setState({ status: 'offline' }),
      OFFLINE_AFTER_MS,
    )
  }

  #signInAgain(): void {
    window.setTimeout(async () => {
      if (!this.#socket) return
      const token = await refreshSession().catch(() => accessToken())
      if (token) this.#socket?.connect()
    }, SIGN_IN_AGAIN_MS)
  }

  #join(room: Room, listeners: Iterable<RoomListener>): void {
    const interested = [...listeners]
    const known = interested
      .map((listener) => listener.after?.())
      .filter((seq) => seq !== undefined)
    this.#subscribe(room, known.length > 0 ? Math.min(...known) : undefined, interested)
  }

  #subscribe(room: Room, after: number | undefined, listeners: RoomListener[]): void {
    this.#socket?.emit('subscribe', { room, after }, (ack: Ack) => {
      for (const missed of ack.events) {
        const event = fromAck(missed)
        if (event) this.#deliver(event, listeners)
      }
      if (ack.more && ack.seq !== null) this.#subscribe(room, ack.seq, listeners)
    })
  }

  #receive(event: LiveEvent): void {
    const rooms: Room[] = [
      'dashboard',
      `pipeline:${event.pipeline_id}`,
      `execution:${event.execution_id}`,
    ]
    for (const room of rooms) this.#deliver(event, this.#rooms.get(room) ?? [])
  }

  #deliver(event: LiveEvent, listeners: Iterable<RoomListener>): void {
    for (const listener of listeners) {
      const waiting = this.#waiting.get(listener)
      if (waiting) waiting.push(event)
      else this.#waiting.set(listener, [event])
    }
    this.#planFlush()
  }

  #planFlush(): void {
    if (this.#flushPlanned || this.#waiting.size === 0) return
    this.#flushPlanned = true
    if (document.hidden) window.setTimeout(() => this.#flush(), HIDDEN_FLUSH_MS)
    else requestAnimationFrame(() => this.#flush())
  }

  #flush(): void {
    this.#flushPlanned = false
    const batches = [...this.#waiting]
    this.#waiting.clear()
    for (const [listener, events] of batches) listener.onEvents(events)
  }
}

function refusalCode(error: Error): unknown {
  const { data } = error as Error & { data?: { code?: unknown } }
  return data?.code
}

export const live = new LiveConnection(async () => {
  // Not needed for the first paint.
  const { io } = await import('socket.io-client')
  return io({
    autoConnect: false,
    transports: ['websocket'],
    auth: (give) => give({ token: accessToken() }),
  })
})
