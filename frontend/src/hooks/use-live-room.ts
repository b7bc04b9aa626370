import { useEffect, useRef } from 'react'
import { live, type Room, type RoomListener } from '@/lib/live'

/** Listen to a room while the component is shown; null listens to nothing. The newest `listener` is used. */
export function useLiveRoom(room: Room | null, listener: RoomListener): void {
  const current = useRef(listener)
  useEffect(() => {
    current.current = listener
  })
  const resumes = listener.after !== undefined
  useEffect(() => {
    if (!room) return
    return live.listen(room, {
      after: resumes ? () => current.current.after?.() : undefined,
      onEvents: (events) => current.current.onEvents(events),
      onReconnect: () => current.current.onReconnect?.(),
    })
  }, [room, resumes])
}
