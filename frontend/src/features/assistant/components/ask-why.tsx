import { explain, InlineError } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { useAskWhy } from '@/features/assistant/api'
import { SaidBy } from '@/features/assistant/components/said-by'
import { SentToExplain } from '@/features/assistant/components/sent-details'

/** Ask the assistant why an execution failed. Its answer is text, whatever it holds. */
export function AskWhy({ executionId }: { executionId: string }) {
  const why = useAskWhy(executionId)
  return (
    <div className="mt-3 flex flex-col gap-2 border-t border-border-soft pt-3">
      <div className="flex flex-wrap items-center gap-x-3.5 gap-y-1.5">
        <Button size="small" disabled={why.isPending} onClick={() => why.mutate()}>
          <Icon name="spark" className="size-3.5 text-insight" />
          {why.isPending ? 'Asking…' : why.data ? 'Ask again' : 'Explain this failure'}
        </Button>
        <SentToExplain executionId={executionId} />
      </div>
      <div aria-live="polite" className="empty:hidden">
        {why.data && (
          <>
            <p className="wrap-text max-w-[80ch] whitespace-pre-wrap">{why.data.text}</p>
            <SaidBy answer={why.data} />
          </>
        )}
      </div>
      {why.error && <InlineError>{explain(why.error)}</InlineError>}
    </div>
  )
}
