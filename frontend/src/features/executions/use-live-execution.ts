import { useQueryClient } from '@tanstack/react-query'
import { executionQuery } from '@/features/executions/api'
import { applyEvents } from '@/features/executions/model/live'
import { useLiveRoom } from '@/hooks/use-live-room'
import type { LiveEvent } from '@/lib/live-events'

/** Keep a loaded execution in step with its room. Reconnecting resumes after the newest event it knows. */
export function useLiveExecution(id: string): void {
  const client = useQueryClient()
  const { queryKey } = executionQuery(id)

  const onEvents = (events: LiveEvent[]) => {
    const known = client.getQueryData(queryKey)
    if (!known) return
    const { execution, stale } = applyEvents(known, events)
    if (execution !== known) client.setQueryData(queryKey, execution)
    if (stale) void client.invalidateQueries({ queryKey })
  }
  useLiveRoom(`execution:${id}`, { after: () => client.getQueryData(queryKey)?.last_seq, onEvents })
}
