import { useQueryClient } from '@tanstack/react-query'
import { useLiveApprovals } from '@/features/approvals/use-live-approvals'
import { latestExecutionsQuery } from '@/features/executions/api'
import { metricKeys } from '@/features/metrics/api'
import { pipelineKeys, pipelinesQuery } from '@/features/pipelines/api'
import { applyRunEvents } from '@/features/pipelines/model'
import { useLiveRefresh } from '@/hooks/use-live-refresh'
import { useLiveRoom } from '@/hooks/use-live-room'
import { concernsPipelines } from '@/lib/live-events'

/** Executions that activity and attention look at. */
export const LATEST = 30

const LISTS_EVERY_MS = 1000
/** Rates and medians move slowly, and cost the server more. */
const FIGURES_EVERY_MS = 5000

/** States change at once, from the events themselves; figures follow a little later, from the server. */
export function useLiveDashboard(): void {
  const client = useQueryClient()
  useLiveApprovals('dashboard')
  useLiveRoom('dashboard', {
    onEvents: (events) => {
      const known = client.getQueryData(pipelinesQuery.queryKey)
      if (!known) return
      const { pipelines, unknown } = applyRunEvents(known, events)
      if (pipelines !== known) client.setQueryData(pipelinesQuery.queryKey, pipelines)
      if (unknown) void client.invalidateQueries({ queryKey: pipelinesQuery.queryKey })
    },
  })
  useLiveRefresh(
    'dashboard',
    [latestExecutionsQuery(LATEST).queryKey, metricKeys.now()],
    LISTS_EVERY_MS,
  )
  useLiveRefresh(
    'dashboard',
    [pipelineKeys.overview(), metricKeys.all],
    FIGURES_EVERY_MS,
    concernsPipelines,
  )
}
