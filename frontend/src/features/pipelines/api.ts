import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  skipToken,
  useMutation,
  useQueryClient,
} from '@tanstack/react-query'
import { useRef } from 'react'
import { explain } from '@/components/feedback'
import { api, unwrap, unwrapPage } from '@/lib/api'
import { toast } from '@/store/toasts'

export const pipelineKeys = {
  all: ['pipelines'] as const,
  lists: () => [...pipelineKeys.all, 'list'] as const,
  list: (text: string) => [...pipelineKeys.lists(), text] as const,
  overview: () => [...pipelineKeys.lists(), 'overview'] as const,
  detail: (id: string) => [...pipelineKeys.all, 'detail', id] as const,
  versions: (id: string) => [...pipelineKeys.all, 'versions', id] as const,
  version: (id: string, version: number) => [...pipelineKeys.versions(id), version] as const,
  diff: (id: string, old: number, version: number) =>
    [...pipelineKeys.versions(id), old, version] as const,
  underWay: (id: string) => [...pipelineKeys.all, 'under way', id] as const,
  validation: (source: string) => [...pipelineKeys.all, 'validation', source] as const,
}

const OVERVIEW_SIZE = 100
const PAGE_SIZE = 50

/** The first hundred, for the dashboard and for choosing one. */
export const pipelinesQuery = queryOptions({
  queryKey: pipelineKeys.overview(),
  queryFn: () => unwrap(api.GET('/api/pipelines', { params: { query: { limit: OVERVIEW_SIZE } } })),
})

export function pipelineListQuery(text: string) {
  return infiniteQueryOptions({
    queryKey: pipelineKeys.list(text),
    queryFn: ({ pageParam }) =>
      unwrapPage(
        api.GET('/api/pipelines', {
          params: { query: { q: text || undefined, cursor: pageParam, limit: PAGE_SIZE } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    placeholderData: keepPreviousData,
  })
}

export function pipelineQuery(id: string) {
  return queryOptions({
    queryKey: pipelineKeys.detail(id),
    queryFn: () =>
      unwrap(api.GET('/api/pipelines/{pipeline_id}', { params: { path: { pipeline_id: id } } })),
  })
}

export function versionsQuery(id: string) {
  return queryOptions({
    queryKey: pipelineKeys.versions(id),
    queryFn: () =>
      unwrap(
        api.GET('/api/pipelines/{pipeline_id}/versions', { params: { path: { pipeline_id: id } } }),
      ),
  })
}

export function versionQuery(id: string, version: number) {
  return queryOptions({
    queryKey: pipelineKeys.version(id, version),
    queryFn: () =>
      unwrap(
        api.GET('/api/pipelines/{pipeline_id}/versions/{version}', {
          params: { path: { pipeline_id: id, version } },
        }),
      ),
    // What a version says never changes; a draft that is published asks again.
    staleTime: Number.POSITIVE_INFINITY,
  })
}

/** What changes from version `old` to `version`. */
export function diffQuery(id: string, old: number, version: number) {
  return queryOptions({
    queryKey: pipelineKeys.diff(id, old, version),
    queryFn: () =>
      unwrap(
        api.GET('/api/pipelines/{pipeline_id}/versions/{version}/diff/{other}', {
          params: { path: { pipeline_id: id, version: old, other: version } },
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  })
}

/** The source travels as it was typed: comments and order are the author's. */
const AS_YAML = {
  headers: { 'Content-Type': 'application/yaml' },
  bodySerializer: (source: unknown) => String(source),
}

export function validationQuery(source: string) {
  return queryOptions({
    queryKey: pipelineKeys.validation(source),
    queryFn: ({ signal }) =>
      unwrap(api.POST('/api/pipelines/validate', { body: source as never, signal, ...AS_YAML })),
    enabled: source.trim() !== '',
    placeholderData: keepPreviousData,
    gcTime: 60_000,
  })
}

export function useCreatePipeline() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (source: string) =>
      unwrap(api.POST('/api/pipelines', { body: source as never, ...AS_YAML })),
    onSuccess: (pipeline) => {
      client.setQueryData(pipelineKeys.detail(pipeline.id), pipeline)
      return client.invalidateQueries({ queryKey: pipelineKeys.lists() })
    },
  })
}

type NewVersion = { source: string; basedOn: number }

/** Refused with 409 when somebody else has saved a version since `basedOn`. */
export function useSaveVersion(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ source, basedOn }: NewVersion) =>
      unwrap(
        api.PUT('/api/pipelines/{pipeline_id}', {
          params: { path: { pipeline_id: id } },
          body: source as never,
          ...AS_YAML,
          headers: { ...AS_YAML.headers, 'If-Match': `"${basedOn}"` },
        }),
      ),
    onSuccess: (pipeline) => {
      client.setQueryData(pipelineKeys.detail(id), pipeline)
      return client.invalidateQueries({
        queryKey: pipelineKeys.all,
        predicate: ({ queryKey }) => queryKey[1] !== 'detail',
      })
    },
  })
}

/** A text, and either the version that was edited or the draft that it takes the place of. */
type NewDraft = { source: string } & ({ basedOn: number } | { replaces: number })

/** A version that nothing runs by itself. */
export function useSaveDraft(id: string) {
  const refresh = useRefreshVersions(id)
  return useMutation({
    mutationFn: ({ source, ...from }: NewDraft) =>
      unwrap(
        api.POST('/api/pipelines/{pipeline_id}/versions', {
          params: {
            path: { pipeline_id: id },
            query: 'replaces' in from ? { replaces: from.replaces } : { based_on: from.basedOn },
          },
          body: source as never,
          ...AS_YAML,
        }),
      ),
    onSuccess: refresh,
  })
}

type Publication = { draft: number; note: string; instead: number }

/**
 * Refused with 412 when `instead`, the version that was seen to run, does not run any more. The draft is gone from the page
 * as soon as it is done: what is to be said then is said here.
 */
export function usePublishDraft(id: string) {
  const client = useQueryClient()
  const refresh = useRefreshVersions(id)
  return useMutation({
    mutationFn: ({ draft, note, instead }: Publication) =>
      unwrap(
        api.POST('/api/pipelines/{pipeline_id}/versions/{version}/publish', {
          params: {
            path: { pipeline_id: id, version: draft },
            query: { note },
            header: { 'if-match': `"${instead}"` },
          },
        }),
      ),
    onSuccess: (pipeline) => {
      toast('success', `Version ${pipeline.version} runs from now on.`)
      client.setQueryData(pipelineKeys.detail(id), pipeline)
      return refresh()
    },
  })
}

export function useDiscardDraft(id: string, onDone: () => void) {
  const refresh = useRefreshVersions(id)
  return useMutation({
    mutationFn: (draft: number) =>
      unwrap(
        api.DELETE('/api/pipelines/{pipeline_id}/versions/{version}', {
          params: { path: { pipeline_id: id, version: draft } },
        }),
      ),
    onSuccess: (_answer, draft) => {
      toast('success', `Draft ${draft} is discarded.`)
      onDone()
      return refresh()
    },
  })
}

/** Suggestions come and go with the drafts that carry them. */
function useRefreshVersions(id: string) {
  const client = useQueryClient()
  return () =>
    Promise.all(
      [pipelineKeys.versions(id), pipelineKeys.detail(id), pipelineKeys.lists(), ['insights']].map(
        (queryKey) => client.invalidateQueries({ queryKey }),
      ),
    )
}

/** Paused, no execution of it begins any more: new ones wait, those under way go on. */
export function usePausePipeline(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (action: 'pause' | 'resume') =>
      unwrap(
        api.POST(`/api/pipelines/{pipeline_id}/${action}`, {
          params: { path: { pipeline_id: id } },
        }),
      ),
    onSuccess: (pipeline) => {
      toast('success', `${pipeline.name} is ${pipeline.enabled ? 'resumed' : 'paused'}.`)
      client.setQueryData(pipelineKeys.detail(id), pipeline)
    },
    onError: (error) => toast('failed', explain(error)),
    onSettled: () => client.invalidateQueries({ queryKey: pipelineKeys.lists() }),
  })
}

/** Executions of it that have not ended: while there are any, it cannot be deleted. */
export function underWayQuery(id: string) {
  return queryOptions({
    queryKey: pipelineKeys.underWay(id),
    queryFn: () => cancelAllOf(id, true).then(({ matched }) => matched),
    staleTime: 0,
  })
}

function cancelAllOf(id: string, dryRun: boolean) {
  const complete = { trigger: [], status: [], ids: [], all: false, limit: 1000 }
  return unwrap(
    api.POST('/api/executions/cancel', { body: { ...complete, pipeline_id: id, dry_run: dryRun } }),
  )
}

/** Tell every execution of it to stop. */
export function useCancelAllOf(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => cancelAllOf(id, false),
    onError: (error) => toast('failed', explain(error)),
    onSettled: () => client.invalidateQueries({ queryKey: pipelineKeys.underWay(id) }),
  })
}

/** Its versions and executions stay readable. */
export function useDeletePipeline(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () =>
      unwrap(api.DELETE('/api/pipelines/{pipeline_id}', { params: { path: { pipeline_id: id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: pipelineKeys.lists() }),
  })
}

/** An earlier execution to run again: all of it, from a stage on, or that stage alone. */
export type Again = {
  executionId: string
  stage: string | null
  alone: boolean
  /** Null takes the newest. */
  version: number | null
}

type Start = {
  inputs: Record<string, unknown>
  data?: unknown
  /** Left out, the published one. */
  version?: number
  priority?: number
  use_cache?: boolean
}

/**
 * Start an execution. While no answer comes the key stays the same, so that pressing again finds the execution that
 * the lost answer was about instead of starting another.
 */
export function useExecute(pipelineId: string, again?: Again) {
  const key = useRef(randomKey())
  return useMutation({
    mutationFn: (body: Start) =>
      unwrap(
        api.POST('/api/pipelines/{pipeline_id}/execute', {
          params: { path: { pipeline_id: pipelineId } },
          headers: { 'Idempotency-Key': key.current },
          body: again ? { ...body, rerun_of: again.executionId, ...startOf(again) } : body,
        }),
      ),
    onSettled: (_answer, error) => {
      if (!(error instanceof TypeError)) key.current = randomKey()
    },
  })
}

/**
 * What a re-run from a stage would take over and what it would run, before it starts. `inputs` are those to be given, as
 * JSON: they are checked, and what they mean is said. Nothing is asked where everything runs again.
 */
export function rerunPlanQuery(again: Again | undefined, inputs: string | null) {
  return queryOptions({
    queryKey: ['executions', 'rerun', again, inputs],
    queryFn: again?.stage
      ? () =>
          unwrap(
            api.GET('/api/executions/{execution_id}/rerun', {
              params: {
                path: { execution_id: again.executionId },
                query: { ...startOf(again), ...(inputs !== null && { inputs }) },
              },
            }),
          )
      : skipToken,
    placeholderData: keepPreviousData,
  })
}

function startOf({ stage, alone, version }: Again) {
  return {
    ...(stage !== null && (alone ? { only_stage: stage } : { from_stage: stage })),
    ...(version !== null && { version }),
  }
}

/** `crypto.randomUUID` is missing where the dashboard is served over plain HTTP in a local network. */
function randomKey(): string {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join('-')
}
