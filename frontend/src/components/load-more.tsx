import { Button } from '@/components/ui/button'

type LoadMoreProps = { hasMore: boolean; loading: boolean; onLoad: () => void }

export function LoadMore({ hasMore, loading, onLoad }: LoadMoreProps) {
  if (!hasMore) return null
  return (
    <div className="flex justify-center border-t border-border-soft p-3">
      <Button size="small" disabled={loading} onClick={onLoad}>
        {loading ? 'Loading…' : 'Show more'}
      </Button>
    </div>
  )
}
