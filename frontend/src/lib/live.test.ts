import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LiveConnection } from '@/lib/live'
import type { LiveEvent } from '@/lib/live-events'
import { useConnection } from '@/store/connection'
import { START } from '@/test/factories'
import { FakeSocket } from '@/test/fake-socket'

const flat = {
  seq: 5,
  at: START,
  execution_id: 'e1',
  pipeline_id: 'orders',
  stage: 'load',
  index: 0,
}

let socket: FakeSocket
let connection: LiveConnection

beforeEach(async () => {
  vi.useFakeTimers()
  socket = new FakeSocket()
  connection = new LiveConnection(async () => socket as never)
  await connection.start()
})
afterEach(() => {
  connection.stop()
  vi.useRealTimers()
})

function collect(room: Parameters<LiveConnection['listen']>[0], after?: () => number) {
  const batches: LiveEvent[][] = []
  const reconnected = vi.fn<() => void>()
  const stop = connection.listen(room, {
    ...(after && { after }),
    onEvents: (events) => batches.push(events),
    onReconnect: reconnected,
  })
  return { batches, reconnected, stop }
}

describe('LiveConnection', () => {
  it('hands on the events of a frame together', async () => {
    const { batches } = collect('execution:e1')
    socket.play('stage_started', flat)
    socket.play('stage_completed', { ...flat, seq: 6, rows: 12 })
    socket.play('stage_started', { ...flat, execution_id: 'other' })
    expect(batches).toEqual([])
    await vi.advanceTimersToNextFrame()
    expect(batches).toHaveLength(1)
    expect(batches[0]).toMatchObject([
      { type: 'stage_started', seq: 5, stage: 'load' },
      { type: 'stage_completed', seq: 6, details: { rows: 12 } },
    ])
  })

  it('asks for what it missed after the newest event it knows', async () => {
    let newest = 4
    const { batches } = collect('execution:e1', () => newest)
    expect(socket.subscriptions()).toEqual([{ room: 'execution:e1', after: 4 }])
    newest = 7
    socket.drop()
    socket.connect()
    expect(socket.subscriptions().at(-1)).toEqual({ room: 'execution:e1', after: 7 })
    socket.sent.at(-1)?.ack?.({
      ok: true,
      seq: 8,
      more: false,
      events: [{ ...flat, seq: 8, type: 'stage_failed' }],
    })
    await vi.advanceTimersToNextFrame()
    expect(batches).toMatchObject([[{ type: 'stage_failed', seq: 8 }]])
  })

  it('goes on asking while there is more', () => {
    collect('execution:e1', () => 0)
    socket.sent.at(-1)?.ack?.({ ok: true, seq: 1000, more: true, events: [] })
    expect(socket.subscriptions().at(-1)).toEqual({ room: 'execution:e1', after: 1000 })
  })

  it('tells rooms that cannot resume to look anew', () => {
    const { reconnected } = collect('dashboard')
    socket.drop()
    socket.connect()
    expect(reconnected).toHaveBeenCalledTimes(1)
    socket.play('events_omitted', { count: 3 })
    expect(reconnected).toHaveBeenCalledTimes(2)
  })

  it('leaves a room with its last listener, and the one the server puts it into', () => {
    const first = collect('pipeline:orders')
    const second = collect('pipeline:orders')
    first.stop()
    expect(socket.sent.some(({ event }) => event === 'unsubscribe')).toBe(false)
    second.stop()
    socket.play('connected', { message: 'hello' })
    expect(socket.sent.slice(-2)).toMatchObject([
      { event: 'unsubscribe', data: { room: 'pipeline:orders' } },
      { event: 'unsubscribe', data: { room: 'dashboard' } },
    ])
  })

  it('calls itself offline after three seconds, not for a short break', () => {
    expect(useConnection.getState().status).toBe('live')
    socket.drop()
    vi.advanceTimersByTime(2900)
    expect(useConnection.getState().status).toBe('live')
    vi.advanceTimersByTime(200)
    expect(useConnection.getState().status).toBe('offline')
    socket.connect()
    expect(useConnection.getState().status).toBe('live')
  })

  it('opens one socket although it was stopped and started while opening', async () => {
    const sockets = [new FakeSocket(), new FakeSocket()]
    const opened = [...sockets]
    const restarted = new LiveConnection(async () => opened.shift() as never)
    const first = restarted.start()
    restarted.stop()
    await Promise.all([first, restarted.start()])
    expect(sockets.map(({ connected }) => connected)).toEqual([false, true])
    restarted.stop()
  })
})
