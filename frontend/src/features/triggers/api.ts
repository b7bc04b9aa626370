import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from '@tanstack/react-query'
import { explain } from '@/components/feedback'
import { api, type Schemas, unwrap, unwrapPage } from '@/lib/api'
import { toast } from '@/store/toasts'

export type Trigger = Schemas['TriggerBody']
export type Firing = Schemas['FiringBody']
export type Backfill = Schemas['BackfillBody']
/** Moments as `<input type="datetime-local">` has them: on the clocks of the trigger's zone. */
export type Span = Pick<Schemas['BackfillRequest'], 'from' | 'to' | 'order' | 'priority'>

export const triggerKeys = {
  all: ['triggers'] as const,
  overview: () => [...triggerKeys.all, 'overview'] as const,
  of: (pipelineId: string) => [...triggerKeys.all, 'of', pipelineId] as const,
  plan: (trigger: Trigger, span: Span) =>
    [...triggerKeys.all, 'plan', trigger.pipeline_id, trigger.id, span.from, span.to] as const,
  history: (pipelineId: string) => [...triggerKeys.all, 'firings', pipelineId] as const,
  firings: (pipelineId: string, trigger: string) =>
    [...triggerKeys.history(pipelineId), trigger] as const,
}

const OVERVIEW_SIZE = 500
export const FIRINGS_PAGE = 25

/** Of all pipelines, what comes next first: for the lists of pipelines. */
export const triggersQuery = queryOptions({
  queryKey: triggerKeys.overview(),
  queryFn: () => unwrap(api.GET('/api/triggers', { params: { query: { limit: OVERVIEW_SIZE } } })),
})

export function pipelineTriggersQuery(pipelineId: string) {
  return queryOptions({
    queryKey: triggerKeys.of(pipelineId),
    queryFn: () =>
      unwrap(
        api.GET('/api/pipelines/{pipeline_id}/triggers', {
          params: { path: { pipeline_id: pipelineId } },
        }),
      ),
  })
}

/** What became of a trigger's instants, the latest first. */
export function firingsQuery(pipelineId: string, trigger: string) {
  return infiniteQueryOptions({
    queryKey: triggerKeys.firings(pipelineId, trigger),
    queryFn: ({ pageParam }) =>
      unwrapPage(
        api.GET('/api/pipelines/{pipeline_id}/triggers/{trigger_id}/firings', {
          params: {
            path: { pipeline_id: pipelineId, trigger_id: trigger },
            query: { cursor: pageParam, limit: FIRINGS_PAGE },
          },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
  })
}

/** What a backfill would start. */
export function backfillPlanQuery(trigger: Trigger, span: Span) {
  return queryOptions({
    queryKey: triggerKeys.plan(trigger, span),
    queryFn: () => askForBackfill(trigger, { ...span, dry_run: true }),
    placeholderData: keepPreviousData,
    // What is missing changes by itself.
    gcTime: 0,
  })
}

export function useBackfill(trigger: Trigger) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (span: Span) => askForBackfill(trigger, { ...span, dry_run: false }),
    onSettled: () => client.invalidateQueries({ queryKey: triggerKeys.all }),
  })
}

function askForBackfill(
  { pipeline_id, id }: Trigger,
  body: Schemas['BackfillRequest'],
): Promise<Backfill> {
  return unwrap(
    api.POST('/api/pipelines/{pipeline_id}/triggers/{trigger_id}/backfill', {
      params: { path: { pipeline_id, trigger_id: id } },
      body,
    }),
  )
}

/** Paused, it starts nothing by itself; its pipeline can still be run by hand. */
export function usePauseTrigger({ pipeline_id, id }: Trigger) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (action: 'pause' | 'resume') =>
      unwrap(
        api.POST(`/api/pipelines/{pipeline_id}/triggers/{trigger_id}/${action}`, {
          params: { path: { pipeline_id, trigger_id: id } },
        }),
      ),
    onSuccess: (changed) => {
      toast('success', `${id} is ${changed.paused_at === null ? 'resumed' : 'paused'}.`)
      client.setQueryData(pipelineTriggersQuery(pipeline_id).queryKey, (known) =>
        known?.map((trigger) => (trigger.id === id ? changed : trigger)),
      )
    },
    onError: (error) => toast('failed', explain(error)),
    onSettled: () => client.invalidateQueries({ queryKey: triggerKeys.all }),
  })
}
