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

export type Suggestion = Schemas['SuggestionBody']
export type SuggestionDetail = Schemas['SuggestionDetail']
export type Insight = Schemas['InsightBody']
export type Model = Schemas['ModelBody']

export const insightKeys = {
  all: ['insights'] as const,
  suggestions: () => [...insightKeys.all, 'suggestions'] as const,
  suggestion: (id: string) => [...insightKeys.suggestions(), 'one', id] as const,
  abnormal: () => [...insightKeys.all, 'abnormal'] as const,
  explanation: (executionId: string) => [...insightKeys.all, 'why', executionId] as const,
  learning: () => [...insightKeys.all, 'learning'] as const,
}

const PAGE_SIZE = 25

/** Changes that history speaks for: those that save most first. */
export function suggestionsQuery(state: Suggestion['state'][]) {
  return infiniteQueryOptions({
    queryKey: [...insightKeys.suggestions(), state],
    queryFn: ({ pageParam }) =>
      unwrapPage(
        api.GET('/api/suggestions', {
          params: { query: { state, cursor: pageParam, limit: PAGE_SIZE } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    placeholderData: keepPreviousData,
  })
}

export function suggestionQuery(id: string) {
  return queryOptions({
    queryKey: insightKeys.suggestion(id),
    queryFn: () =>
      unwrap(
        api.GET('/api/suggestions/{suggestion_id}', { params: { path: { suggestion_id: id } } }),
      ),
  })
}

/** What is abnormal, the newest first. */
export function abnormalQuery(state: Insight['state']) {
  return infiniteQueryOptions({
    queryKey: [...insightKeys.abnormal(), state],
    queryFn: ({ pageParam }) =>
      unwrapPage(
        api.GET('/api/insights', {
          params: { query: { state: [state], cursor: pageParam, limit: PAGE_SIZE } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    placeholderData: keepPreviousData,
  })
}

/** Why an execution failed; only for one that has. */
export function explanationQuery(executionId: string) {
  return queryOptions({
    queryKey: insightKeys.explanation(executionId),
    queryFn: () =>
      unwrap(
        api.GET('/api/executions/{execution_id}/explain', {
          params: { path: { execution_id: executionId } },
        }),
      ),
  })
}

/** Whether the server learns, what it lacks, and the models that answer now. */
export const learningQuery = queryOptions({
  queryKey: insightKeys.learning(),
  queryFn: () => unwrap(api.GET('/api/ai')),
})

type Change =
  | { change: 'apply' | 'undo' }
  | { change: 'publish'; draft: number }
  | { change: 'dismiss'; reason: string }

const CHANGED = {
  apply: ({ version_applied }: SuggestionDetail) =>
    `Saved as draft ${version_applied}. Nothing runs it yet.`,
  publish: ({ version_applied }: SuggestionDetail) =>
    `Version ${version_applied} runs from now on.`,
  dismiss: () => 'Dismissed.',
  undo: ({ version_undone }: SuggestionDetail) =>
    version_undone === null ? 'The draft is discarded.' : `Undone as version ${version_undone}.`,
} satisfies Record<Change['change'], (after: SuggestionDetail) => string>

/** Apply a suggestion as a draft, publish that, undo it, or dismiss the suggestion with a reason. */
export function useChangeSuggestion({ id, pipeline_id }: SuggestionDetail) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (change: Change) => changed(id, pipeline_id, change),
    onSuccess: (after, { change }) => {
      client.setQueryData(insightKeys.suggestion(id), after)
      toast('success', CHANGED[change](after))
    },
    onError: (error) => toast('failed', explain(error)),
    // Versions come and go with it.
    onSettled: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: insightKeys.suggestions() }),
        client.invalidateQueries({ queryKey: ['pipelines'] }),
      ]),
  })
}

async function changed(id: string, pipelineId: string, how: Change): Promise<SuggestionDetail> {
  const params = { path: { suggestion_id: id } }
  switch (how.change) {
    case 'publish':
      await unwrap(
        api.POST('/api/pipelines/{pipeline_id}/versions/{version}/publish', {
          params: { path: { pipeline_id: pipelineId, version: how.draft } },
        }),
      )
      return unwrap(api.GET('/api/suggestions/{suggestion_id}', { params }))
    case 'dismiss':
      return unwrap(
        api.POST('/api/suggestions/{suggestion_id}/dismiss', {
          params,
          body: { reason: how.reason },
        }),
      )
    default:
      return unwrap(api.POST(`/api/suggestions/{suggestion_id}/${how.change}`, { params }))
  }
}

/** Say that an insight was seen, or whether it was of use. */
export function useJudgeInsight(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (said: 'seen' | 'useful' | 'noise') => {
      const params = { path: { insight_id: id } }
      return unwrap(
        said === 'seen'
          ? api.POST('/api/insights/{insight_id}/acknowledge', { params })
          : api.POST('/api/insights/{insight_id}/feedback', { params, body: { verdict: said } }),
      )
    },
    onError: (error) => toast('failed', explain(error)),
    onSettled: () => client.invalidateQueries({ queryKey: insightKeys.abnormal() }),
  })
}
