import { useState } from 'react'
import { Button } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'
import type { Schemas } from '@/lib/api'
import { cn } from '@/lib/cn'

type RetryPlanProps = {
  plan: Schemas['RetryPlan']
  /** Retry without taking cached results. */
  onAfresh: () => void
  className?: string
}

/** What a retry would do, in a sentence; the stages by name for who wants to know. */
export function RetryPlan({ plan, onAfresh, className }: RetryPlanProps) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <button
        type="button"
        aria-haspopup="dialog"
        onClick={() => setOpen(true)}
        className={cn(
          'py-1 text-left text-small text-muted-foreground underline decoration-dotted underline-offset-3 hover:text-foreground',
          className,
        )}
      >
        {plan.message}
      </button>
      <Dialog open={open} onOpenChange={setOpen} title="What a retry does">
        <Stages title="Will run" names={plan.to_run} />
        <Stages title="Reused, with the results they have" names={plan.reused} />
        <div className="flex flex-wrap items-center justify-between gap-2 border-t border-border-soft pt-3">
          <p className="text-small text-muted-foreground">
            What runs may take results from the cache, where its stage keeps them there.
          </p>
          <Button
            size="small"
            onClick={() => {
              setOpen(false)
              onAfresh()
            }}
          >
            Retry without the cache
          </Button>
        </div>
      </Dialog>
    </>
  )
}

function Stages({ title, names }: { title: string; names: string[] }) {
  if (names.length === 0) return null
  return (
    <section className="mb-3 last:mb-0">
      <h3 className="mb-1 font-semibold">
        {title} <span className="font-normal text-muted-foreground">{names.length}</span>
      </h3>
      <p className="mono wrap-text text-small text-secondary-foreground">{names.join(', ')}</p>
    </section>
  )
}
