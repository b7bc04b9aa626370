import { insightKeys } from '@/features/insights/api'
import { useLiveRefresh } from '@/hooks/use-live-refresh'
import { concernsInsights } from '@/lib/live-events'

const REFRESH_MS = 2000

/** Keep insights and suggestions fresh while somebody looks at them. */
export function useLiveInsights(): void {
  useLiveRefresh('dashboard', [insightKeys.all], REFRESH_MS, concernsInsights)
}
