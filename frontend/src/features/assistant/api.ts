import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { api, type Schemas, unwrap } from '@/lib/api'

export type Project = Schemas['ProjectBody']
export type Sent = Schemas['SentBody']
export type Proposal = Schemas['DraftBody']

const assistantKeys = {
  all: ['assistant'] as const,
  projects: () => [...assistantKeys.all, 'projects'] as const,
}

/** Whether the assistant may be asked about a pipeline; null stands for a new one. */
export function assistantQuery(pipelineId: string | null) {
  return queryOptions({
    queryKey: [...assistantKeys.all, 'standing', pipelineId],
    queryFn: () =>
      unwrap(
        api.GET('/api/assistant', {
          params: { query: pipelineId === null ? {} : { pipeline_id: pipelineId } },
        }),
      ),
  })
}

/** What explaining a failure would send: nothing leaves by asking this. */
export function sentToExplainQuery(executionId: string) {
  return queryOptions({
    queryKey: [...assistantKeys.all, 'sent', executionId],
    queryFn: () =>
      unwrap(
        api.GET('/api/executions/{execution_id}/assistant', {
          params: { path: { execution_id: executionId } },
        }),
      ),
  })
}

export function useAskWhy(executionId: string) {
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.POST('/api/executions/{execution_id}/assistant', {
          params: { path: { execution_id: executionId } },
        }),
      ),
  })
}

/** A wish for a definition, with the text that it is about. */
export type Wish = Schemas['DraftRequest']

export function sentToDraftQuery(wish: Wish) {
  return queryOptions({
    queryKey: [...assistantKeys.all, 'sent-to-draft', wish],
    queryFn: () => unwrap(api.POST('/api/assistant/draft/preview', { body: wish })),
  })
}

export function useDraft() {
  return useMutation({
    mutationFn: (wish: Wish) => unwrap(api.POST('/api/assistant/draft', { body: wish })),
  })
}

export const projectsQuery = queryOptions({
  queryKey: assistantKeys.projects(),
  queryFn: () => unwrap(api.GET('/api/ai/projects')),
})

/** Switch learning or the assistant for a project. */
export function useSetProject() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (body: Schemas['ProjectRequest']) => unwrap(api.PUT('/api/ai/projects', { body })),
    // Predictions, insights and what may be asked follow from it, on every page.
    onSuccess: () => client.invalidateQueries(),
  })
}
