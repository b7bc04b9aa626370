import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from '@tanstack/react-query'
import { explain } from '@/components/feedback'
import {
  type BulkAction,
  type BulkRequest,
  type BulkResponse,
  type BulkTarget,
  tell,
  toRequest,
} from '@/features/executions/model/bulk'
import { waitsForWorker } from '@/features/executions/model/waiting'
import { api, type Schemas, unwrap, unwrapPage } from '@/lib/api'
import { type ExecutionStatus, hasEnded, type StageStatus } from '@/lib/status'
import { toast } from '@/store/toasts'

export type ExecutionFilter = {
  status?: ExecutionStatus[]
  pipelineId?: string
  text?: string
  since?: string
}

type StageRun = Schemas['StageRunBody']

/** `index` is that of one item; null takes all. */
export type LogFilter = {
  stage: string | null
  index: number | null
  level: LogLevel
  text: string
}
export type LogLevel = 'debug' | 'info' | 'warning' | 'error'

export const executionKeys = {
  all: ['executions'] as const,
  lists: () => [...executionKeys.all, 'list'] as const,
  list: (filter: ExecutionFilter) => [...executionKeys.lists(), filter] as const,
  latest: (limit: number) => [...executionKeys.lists(), 'latest', limit] as const,
  detail: (id: string) => [...executionKeys.all, 'detail', id] as const,
  stage: (id: string, run: StageRun) =>
    [...executionKeys.all, 'stage', id, run.stage, run.index, run.attempt, run.status] as const,
  logs: (id: string, filter: LogFilter, anchor: number | null) =>
    [...executionKeys.all, 'logs', id, filter, anchor] as const,
  preview: (source: TableSource, offset: number, limit: number) =>
    ['tables', source, offset, limit] as const,
  item: (id: string, stage: string, index: number) =>
    [...executionKeys.all, 'item', id, stage, index] as const,
  items: (id: string, stage: string, status: StageStatus | null) =>
    [...executionKeys.all, 'items', id, stage, status] as const,
  profile: (artifact: string) => ['artifacts', artifact, 'profile'] as const,
}

const PAGE_SIZE = 50

export function executionsQuery(filter: ExecutionFilter) {
  return infiniteQueryOptions({
    queryKey: executionKeys.list(filter),
    queryFn: ({ pageParam }) =>
      unwrapPage(
        api.GET('/api/executions', {
          params: {
            query: {
              status: filter.status,
              pipeline_id: filter.pipelineId,
              q: filter.text,
              since: filter.since,
              cursor: pageParam,
              limit: PAGE_SIZE,
            },
          },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    placeholderData: keepPreviousData,
  })
}

/** The newest of all pipelines. */
export function latestExecutionsQuery(limit: number) {
  return queryOptions({
    queryKey: executionKeys.latest(limit),
    queryFn: () => unwrap(api.GET('/api/executions', { params: { query: { limit } } })),
  })
}

/** No event tells that nobody is there to take a stage, or that somebody is again. */
const READY_EVERY_MS = 10_000

export function executionQuery(id: string) {
  return queryOptions({
    queryKey: executionKeys.detail(id),
    queryFn: () =>
      unwrap(api.GET('/api/executions/{execution_id}', { params: { path: { execution_id: id } } })),
    refetchInterval: ({ state }) =>
      state.data && waitsForWorker(state.data) ? READY_EVERY_MS : false,
  })
}

/** Asked for anew whenever the run changes its state; until the answer comes, the one before is shown. */
export function stageQuery(id: string, run: StageRun) {
  const { stage, index } = run
  return queryOptions({
    queryKey: executionKeys.stage(id, run),
    queryFn: () =>
      unwrap(
        api.GET('/api/executions/{execution_id}/stages/{stage}', {
          params: { path: { execution_id: id, stage }, query: { index } },
        }),
      ),
    placeholderData: (before) =>
      before?.stage === stage && before.index === index ? before : undefined,
  })
}

/** No event names an item: until it has ended, it is asked for. */
const ITEM_EVERY_MS = 2000

/** One item of a foreach stage, which is read like a stage. */
export function itemQuery(id: string, stage: string, index: number) {
  return queryOptions({
    queryKey: executionKeys.item(id, stage, index),
    queryFn: () =>
      unwrap(
        api.GET('/api/executions/{execution_id}/stages/{stage}', {
          params: { path: { execution_id: id, stage }, query: { index } },
        }),
      ),
    refetchInterval: ({ state }) =>
      state.data && hasEnded(state.data.status) ? false : ITEM_EVERY_MS,
  })
}

export const LOG_PAGE = 300

type LogPage = { lines: Schemas['LogLine'][]; direction: 'older' | 'newer' }
type LogCursor = { before: number } | { after: number }

/** Before this id are the last lines there are. */
const END = Number.MAX_SAFE_INTEGER

/**
 * Log lines, oldest first. Without an anchor it starts at the end; with one at that line, and grows both ways.
 * An empty newer page means that the end is reached, not that there will never be more: `fetchNextPage` asks again.
 */
export function logsQuery(id: string, filter: LogFilter, anchor: number | null) {
  return infiniteQueryOptions({
    queryKey: executionKeys.logs(id, filter, anchor),
    queryFn: async ({ pageParam }): Promise<LogPage> => {
      const lines = await unwrap(
        api.GET('/api/executions/{execution_id}/logs', {
          params: {
            path: { execution_id: id },
            query: {
              ...(filter.stage !== null && { stage: filter.stage }),
              ...(filter.index !== null && { index: filter.index }),
              ...(filter.level !== 'debug' && { level: filter.level }),
              ...(filter.text && { q: filter.text }),
              ...pageParam,
              limit: LOG_PAGE,
            },
          },
        }),
      )
      return { lines, direction: 'before' in pageParam ? 'older' : 'newer' }
    },
    initialPageParam: { before: anchor === null ? END : anchor + 1 } as LogCursor,
    getPreviousPageParam: (first): LogCursor | undefined => {
      const oldest = first.lines[0]
      return oldest && first.direction !== 'newer' && first.lines.length === LOG_PAGE
        ? { before: oldest.id }
        : undefined
    },
    getNextPageParam: (_last, pages): LogCursor => ({ after: newestId(pages) ?? anchor ?? 0 }),
    // Pages are immutable; new lines are fetched behind the last one.
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  })
}

function newestId(pages: LogPage[]): number | undefined {
  return pages.findLast((page) => page.lines.length > 0)?.lines.at(-1)?.id
}

/** A table that is kept, or what a stage handed on: that may be a file which it only names. */
export type TableSource =
  | { artifactId: string }
  | { executionId: string; stage: string; index: number }

export function previewQuery(source: TableSource, offset: number, limit: number) {
  return queryOptions({
    queryKey: executionKeys.preview(source, offset, limit),
    queryFn: () =>
      'artifactId' in source
        ? unwrap(
            api.GET('/api/artifacts/{artifact_id}/preview', {
              params: { path: { artifact_id: source.artifactId }, query: { offset, limit } },
            }),
          )
        : unwrap(
            api.GET('/api/executions/{execution_id}/stages/{stage}/table', {
              params: {
                path: { execution_id: source.executionId, stage: source.stage },
                query: { index: source.index, offset, limit },
              },
            }),
          ),
    // An artifact never changes, and a file that is only named hardly while somebody looks at it.
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: keepPreviousData,
  })
}

export function profileQuery(artifactId: string) {
  return queryOptions({
    queryKey: executionKeys.profile(artifactId),
    queryFn: () =>
      unwrap(
        api.GET('/api/artifacts/{artifact_id}/profile', {
          params: { path: { artifact_id: artifactId } },
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  })
}

/** Run the failed stages and what depends on them again, in the same execution. */
/** `afresh`: what runs again takes no cached results. */
export function useRetry(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (how: { afresh: boolean } | undefined) =>
      unwrap(
        api.POST('/api/executions/{execution_id}/retry', {
          params: { path: { execution_id: id } },
          ...(how?.afresh && { body: { use_cache: false } }),
        }),
      ),
    onSuccess: (plan) => toast('success', `Retrying: ${plan.message}.`),
    onError: (error) => toast('failed', explain(error)),
    onSettled: () => client.invalidateQueries({ queryKey: executionKeys.all }),
  })
}

export function useCancel(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.POST('/api/executions/{execution_id}/cancel', {
          params: { path: { execution_id: id } },
        }),
      ),
    onError: (error) => toast('failed', explain(error)),
    onSettled: () => client.invalidateQueries({ queryKey: executionKeys.detail(id) }),
  })
}

/** One stage, or one item of it; the execution goes on with what does not need it. */
export function useCancelStage(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ stage, index }: { stage: string; index: number }) =>
      unwrap(
        api.POST('/api/executions/{execution_id}/stages/{stage}/cancel', {
          params: { path: { execution_id: id, stage }, query: { index } },
        }),
      ),
    onSuccess: (run) =>
      toast('success', `${run.name} is told to stop; what does not need it goes on.`),
    onError: (error) => toast('failed', explain(error)),
    onSettled: (_answer, _error, { stage, index }) => {
      void client.invalidateQueries({ queryKey: executionKeys.item(id, stage, index) })
      return client.invalidateQueries({ queryKey: executionKeys.detail(id) })
    },
  })
}

/** Between stages: what runs is let finish, nothing new starts until it is resumed. */
export function usePause(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (action: 'pause' | 'resume') =>
      unwrap(
        api.POST(`/api/executions/{execution_id}/${action}`, {
          params: { path: { execution_id: id } },
        }),
      ),
    onError: (error) => toast('failed', explain(error)),
    onSettled: () => client.invalidateQueries({ queryKey: executionKeys.detail(id) }),
  })
}

function bulkCall(action: BulkAction, body: Partial<BulkRequest>) {
  const complete = { trigger: [], status: [], ids: [], all: false, limit: 1000, dry_run: false }
  return unwrap(api.POST(`/api/executions/${action}`, { body: { ...complete, ...body } }))
}

/** How many would be treated; nothing is changed. */
export function bulkCountQuery(action: BulkAction, target: BulkTarget) {
  return queryOptions({
    queryKey: ['bulk', action, target],
    queryFn: () => bulkCall(action, { ...toRequest(target), dry_run: true }),
    select: ({ matched }) => matched,
    // It is about to be acted upon.
    staleTime: 0,
    gcTime: 0,
  })
}

/** Retry or cancel many, a call per thousand; says in a toast what became of them. */
export function useBulk(action: BulkAction) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (target: BulkTarget) => {
      const items: BulkResponse['items'] = []
      let cursor: string | null = null
      do {
        const answer: BulkResponse = await bulkCall(action, { ...toRequest(target), cursor })
        items.push(...answer.items)
        cursor = answer.next_cursor
      } while (cursor !== null)
      return items
    },
    onSuccess: (items) => {
      const { tone, text, links } = tell(action, items)
      toast(tone, text, links)
    },
    onSettled: () => client.invalidateQueries({ queryKey: executionKeys.all }),
  })
}

const ITEMS_PAGE = 50

/** The items of a foreach stage, a page at a time. */
export function itemsQuery(id: string, stage: string, status: StageStatus | null) {
  return infiniteQueryOptions({
    queryKey: executionKeys.items(id, stage, status),
    queryFn: ({ pageParam }) =>
      unwrapPage(
        api.GET('/api/executions/{execution_id}/stages/{stage}/items', {
          params: {
            path: { execution_id: id, stage },
            query: { ...(status && { status: [status] }), cursor: pageParam, limit: ITEMS_PAGE },
          },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    placeholderData: keepPreviousData,
  })
}
