import { type QueryKey, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { useLiveRoom } from '@/hooks/use-live-room'
import type { Room } from '@/lib/live'
import { executionStatusAfter, type LiveEvent } from '@/lib/live-events'

/**
 * Ask again for the queries under `keys` when something happens that they are about: at most once in `everyMs`. If not
 * said otherwise that is an execution which starts, moves or ends.
 */
export function useLiveRefresh(
  room: Room,
  keys: QueryKey[],
  everyMs: number,
  concerns: (event: LiveEvent) => boolean = movesExecution,
): void {
  const client = useQueryClient()
  const timer = useRef<number | undefined>(undefined)
  const watched = useRef(keys)
  useEffect(() => {
    watched.current = keys
  })
  // Nobody listens from then on: what is known may be old when it is shown again.
  useEffect(
    () => () => {
      window.clearTimeout(timer.current)
      timer.current = undefined
      for (const queryKey of watched.current) {
        void client.invalidateQueries({ queryKey, refetchType: 'none' })
      }
    },
    [client],
  )

  const refresh = () => {
    timer.current ??= window.setTimeout(() => {
      timer.current = undefined
      for (const queryKey of keys) void client.invalidateQueries({ queryKey })
    }, everyMs)
  }
  const onEvents = (events: LiveEvent[]) => {
    if (events.some(concerns)) refresh()
  }
  useLiveRoom(room, { onEvents, onReconnect: refresh })
}

function movesExecution(event: LiveEvent): boolean {
  return executionStatusAfter(event) !== null
}
