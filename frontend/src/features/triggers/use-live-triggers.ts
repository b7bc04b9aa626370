import {
  type InfiniteData,
  type QueryClient,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query'
import {
  FIRINGS_PAGE,
  type Firing,
  firingsQuery,
  pipelineTriggersQuery,
  triggerKeys,
  triggersQuery,
} from '@/features/triggers/api'
import {
  applyTriggerEvents,
  firingOf,
  isMadeUpFor,
  nextRuns,
  withFiring,
  withStatuses,
} from '@/features/triggers/model'
import { useLiveRefresh } from '@/hooks/use-live-refresh'
import { useLiveRoom } from '@/hooks/use-live-room'
import { executionStatusAfter, isAboutPipeline, type LiveEvent } from '@/lib/live-events'

const REFRESH_MS = 1000
/** How many of the instants to come are shown. */
export const UPCOMING = 5
/** So many pages of new firings are kept in the first one, before the history is asked for anew. */
const PAGES_OF_NEW = 4

/** When each pipeline starts by itself next, kept in step; undefined while that is not known. */
export function useNextRuns(): ReturnType<typeof nextRuns> | undefined {
  const client = useQueryClient()
  useLiveRefresh('dashboard', [triggersQuery.queryKey], REFRESH_MS, isAboutPipeline)
  useLiveRoom('dashboard', {
    onEvents: (events) => patchTriggers(client, triggersQuery.queryKey, events, 1),
  })
  return useQuery({ ...triggersQuery, select: nextRuns }).data
}

/** Keep the triggers of one pipeline in step, and what became of their instants. */
export function useLivePipelineTriggers(pipelineId: string): void {
  const client = useQueryClient()
  const room = `pipeline:${pipelineId}` as const
  const { queryKey } = pipelineTriggersQuery(pipelineId)
  const keys = [queryKey, triggerKeys.history(pipelineId)]
  // What is made up for belongs somewhere in the middle.
  useLiveRefresh(room, keys, REFRESH_MS, (event) => isAboutPipeline(event) || isMadeUpFor(event))
  useLiveRoom(room, {
    onEvents: (events) => {
      patchTriggers(client, queryKey, events, UPCOMING)
      for (const event of events) {
        patchStatuses(client, event)
        patchHistory(client, event)
      }
    },
  })
}

type Firings = InfiniteData<{ items: Firing[] }>

type TriggersKey =
  | typeof triggersQuery.queryKey
  | ReturnType<typeof pipelineTriggersQuery>['queryKey']

function patchTriggers(
  client: QueryClient,
  queryKey: TriggersKey,
  events: LiveEvent[],
  upcoming: number,
): void {
  const known = client.getQueryData(queryKey)
  if (!known) return
  const { triggers, stale } = applyTriggerEvents(known, events, upcoming)
  if (triggers !== known) client.setQueryData(queryKey, triggers)
  if (stale) void client.invalidateQueries({ queryKey })
}

/** How the executions go that the shown instants have started. */
function patchStatuses(client: QueryClient, event: LiveEvent): void {
  if (executionStatusAfter(event) === null) return
  const queryKey = triggerKeys.history(event.pipeline_id)
  client.setQueriesData<Firings>({ queryKey }, (known) => {
    const pages = known?.pages.map((page) => ({ page, items: withStatuses(page.items, event) }))
    if (!pages?.some(({ page, items }) => items !== page.items)) return known
    return known && { ...known, pages: pages.map(({ page, items }) => ({ ...page, items })) }
  })
}

function patchHistory(client: QueryClient, event: LiveEvent): void {
  const firing = firingOf(event)
  if (!firing) return
  const { queryKey } = firingsQuery(event.pipeline_id, event.details.trigger ?? '')
  const known = client.getQueryData(queryKey)
  const [first, ...rest] = known?.pages ?? []
  if (!known || !first) return
  const items = withFiring(first.items, firing)
  client.setQueryData(queryKey, { ...known, pages: [{ ...first, items }, ...rest] })
  if (firing.state === 'missed' || items.length > PAGES_OF_NEW * FIRINGS_PAGE) {
    void client.invalidateQueries({ queryKey })
  }
}
