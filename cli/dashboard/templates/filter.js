const q=document.getElementById('q'),s=document.getElementById('s'),cards=[...document.querySelectorAll('[data-n]')];
if(q){const sift=()=>{let n=0;const w=q.value.trim().toLowerCase();for(const c of cards){const ok=(!w||c.dataset.n.includes(w))&&(!s.value||c.dataset.s===s.value);c.hidden=!ok;n+=ok}document.getElementById('none').hidden=n>0};
const label=()=>{for(const o of s.options)if(o.dataset.en)o.textContent=o.dataset[box.checked?'zh':'en']};
q.oninput=s.onchange=sift;box.addEventListener('change',label);label();sift()}
