import { type QueryKey, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { useLiveRoom } from '@/hooks/use-live-room'
import type { Room } from '@/lib/live'
import { executionStatusAfter, type LiveEvent } from '@/lib/live-events'

/** Ask again for the queries under `keys` when executions start, move or end: at most once in `everyMs`. */
export function useLiveRefresh(room: Room, keys: QueryKey[], everyMs: number): void {
  const client = useQueryClient()
  const timer = useRef<number | undefined>(undefined)
  useEffect(() => () => window.clearTimeout(timer.current), [])

  const refresh = () => {
    timer.current ??= window.setTimeout(() => {
      timer.current = undefined
      for (const queryKey of keys) void client.invalidateQueries({ queryKey })
    }, everyMs)
  }
  const onEvents = (events: LiveEvent[]) => {
    if (events.some((event) => executionStatusAfter(event) !== null)) refresh()
  }
  useLiveRoom(room, { onEvents, onReconnect: refresh })
}
