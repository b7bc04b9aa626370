import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from '@tanstack/react-query'
import { api, type Schemas, unwrap, unwrapPage } from '@/lib/api'
import { toast } from '@/store/toasts'

export type Approval = Schemas['ApprovalBody']

export const approvalKeys = {
  all: ['approvals'] as const,
  lists: () => [...approvalKeys.all, 'list'] as const,
  list: (mine: boolean) => [...approvalKeys.lists(), mine] as const,
  forMe: () => [...approvalKeys.all, 'for me'] as const,
  of: (executionId: string) => [...approvalKeys.all, 'of', executionId] as const,
}

const PAGE_SIZE = 25

/** What waits for a decision, the longest waiting first; `mine` is what the one signed in may decide. */
export function approvalsQuery(mine: boolean) {
  return infiniteQueryOptions({
    queryKey: approvalKeys.list(mine),
    queryFn: ({ pageParam }) =>
      unwrapPage(
        api.GET('/api/approvals', {
          params: { query: { mine, cursor: pageParam, limit: PAGE_SIZE } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    placeholderData: keepPreviousData,
  })
}

/** More than these are not counted. */
export const COUNTED_AT_MOST = 100

/** What the one signed in may decide: for the count in the navigation, and for the dashboard. */
export const forMeQuery = queryOptions({
  queryKey: approvalKeys.forMe(),
  queryFn: () =>
    unwrap(
      api.GET('/api/approvals', { params: { query: { mine: true, limit: COUNTED_AT_MOST } } }),
    ),
})

/** What one execution waits for. */
export function approvalsOfQuery(executionId: string) {
  return queryOptions({
    queryKey: approvalKeys.of(executionId),
    queryFn: () =>
      unwrap(
        api.GET('/api/approvals', { params: { query: { execution_id: executionId, limit: 100 } } }),
      ),
  })
}

type Decision = {
  decision: 'approve' | 'reject'
  stage: string
  index: number
  comment: string
  values: Record<string, unknown>
}

/** Approve or reject. Afterwards the lists are asked for again: somebody else may have been faster. */
export function useDecide(executionId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ decision, stage, ...body }: Decision) =>
      unwrap(
        api.POST(`/api/executions/{execution_id}/stages/{stage}/${decision}`, {
          params: { path: { execution_id: executionId, stage } },
          body,
        }),
      ),
    onSuccess: (made) =>
      toast('success', `${made.stage} is ${made.approved ? 'approved' : 'rejected'}.`),
    onSettled: () => client.invalidateQueries({ queryKey: approvalKeys.all }),
  })
}
