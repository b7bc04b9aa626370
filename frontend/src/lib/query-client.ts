import { QueryClient } from '@tanstack/react-query'
import { ApiError } from '@/lib/api'

const RETRIES = 2

/** Live events keep what is shown fresh; the stale time only covers what no event speaks of. */
export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        retry: (failures, error) => mayRecover(error) && failures < RETRIES,
      },
    },
  })
}

function mayRecover(error: Error): boolean {
  return !(error instanceof ApiError) || error.status >= 500
}
