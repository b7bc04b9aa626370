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

type Change = 'apply' | 'dismiss' | 'undo'

const CHANGED = {
  apply: ({ version_applied }: SuggestionDetail) => `Applied as version ${version_applied}.`,
  dismiss: () => 'Dismissed.',
  undo: ({ version_undone }: SuggestionDetail) => `Undone as version ${version_undone}.`,
} satisfies Record<Change, (after: SuggestionDetail) => string>

/** Apply a suggestion as a new version, undo that, or dismiss it with a reason. */
export function useChangeSuggestion(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ change, reason = '' }: { change: Change; reason?: string }) => {
      const path = { suggestion_id: id }
      return unwrap(
        change === 'dismiss'
          ? api.POST('/api/suggestions/{suggestion_id}/dismiss', {
              params: { path },
              body: { reason },
            })
          : api.POST(`/api/suggestions/{suggestion_id}/${change}`, { params: { path } }),
      )
    },
    onSuccess: (after, { change }) => {
      client.setQueryData(insightKeys.suggestion(id), after)
      toast('success', CHANGED[change](after))
    },
    onError: (error) => toast('failed', explain(error)),
    onSettled: () => client.invalidateQueries({ queryKey: insightKeys.suggestions() }),
  })
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
